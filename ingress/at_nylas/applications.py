"""The command that shows the application: whose key ours is."""

from ingress.at_nylas.printing import put_one, shown
from ingress.terminal import say
from worker.runtime import Runtime


async def show_application(runtime: Runtime, *, as_json: bool) -> None:
    """Print the application that the API key belongs to."""
    application = (await runtime.context.nylas.applications.get()).data
    branding = shown(application.branding, "name", "website_url", "description", "icon_url")
    row = {
        "application_id": application.application_id,
        "name": branding.pop("name"),
        "region": application.region,
        "environment": application.environment,
        "organization_id": application.organization_id,
        "default_workspace_id": application.default_workspace_id,
        "v2_application_id": application.v2_application_id,
        "domain": application.domain,
        **branding,
        "callback_uris": [uri.url for uri in application.callback_uris],
        "created_at": application.created_at,
        "updated_at": application.updated_at,
    }
    put_one(row, as_json=as_json)
    if application.application_id not in (None, runtime.settings.nylas_client_id):
        say("This is not the application that EVERGRANT_NYLAS_CLIENT_ID names: key and client id must be of one.")
