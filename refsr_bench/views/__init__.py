"""Views: references warped into the frame of the HR image, so that methods see them unturned and in size."""
