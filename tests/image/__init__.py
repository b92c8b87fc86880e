"""`make image-check`: an image is built and run, and what README says of it is proved."""
