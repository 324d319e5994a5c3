"""The runtime: settings, the Celery app, one event loop for each process, the schedule and the sweep."""
