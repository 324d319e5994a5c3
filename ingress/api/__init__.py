"""The API for the product and for operators, at /api/v1: bearer tokens, OpenAPI, errors as problem details."""

PATH = "/api/v1"
