"""Why a grant is as it is: one telling of its story, for the command line and the API."""
