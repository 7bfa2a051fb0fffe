"""Images as files and arrays: reading and writing, resizing, cropping, colour, saved pictures."""
