"""Where photos come from and where results go: events, folders, stores. Knows nothing of images."""
