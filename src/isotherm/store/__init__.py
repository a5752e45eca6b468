"""What a server remembers: sites, images, findings, models and feedback in a database, files by their content."""
