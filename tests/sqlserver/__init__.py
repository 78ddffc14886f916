"""A server that speaks SQL Server's protocol and executes T-SQL on DuckDB: no SQL Server, and labelled so."""
