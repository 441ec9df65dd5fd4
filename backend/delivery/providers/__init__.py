"""The configured providers: routes and connections, what holds one back, its rate and health."""
