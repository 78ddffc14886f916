"""Static pages of a project, as HTML that needs no server and no network."""
