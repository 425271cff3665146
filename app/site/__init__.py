"""The pages, the documentation and the OpenAPI document."""
