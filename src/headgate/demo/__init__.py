"""The embedded example: real flights, landed as files and a database, and what the demo does with them."""
