"""`make image-check`: an image is built and run, and what docker/README.md says of it is proved."""
