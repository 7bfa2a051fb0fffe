"""Files by name: what is known of each, where it lies on this machine, and how it is fetched when somebody says so."""
