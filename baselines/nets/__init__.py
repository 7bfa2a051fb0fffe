"""The networks of other systems, written from their papers and checked against their authors' outputs; torch alone."""
