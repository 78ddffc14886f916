"""Lakes: folders of tables with versions, where a run publishes several tables and its record in one commit."""
