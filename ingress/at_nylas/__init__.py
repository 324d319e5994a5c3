"""What the commands do on Nylas' side: connectors, credentials, the application, its redirect URIs and webhooks."""
