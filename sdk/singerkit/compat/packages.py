"""What a connector's dependencies become: data, read by ``singerkit port``."""

from __future__ import annotations

from collections.abc import Mapping

OLD = "singer-sdk"
NEW = "singerkit"
#: The oldest Python that singerkit runs on.
PYTHON = (3, 11)

#: Extras of singer-sdk, to those of singerkit; those that are not here brought nothing that is needed.
EXTRAS: Mapping[str, str] = {
    "faker": "faker",
    "jwt": "jwt",
    "parquet": "arrow",
    "s3": "cloud",
    "sql": "sql",
    "testing": "testing",
}

#: Extras that the names of a module ask for.
EXTRAS_OF_NAMES: Mapping[str, str] = {
    "JSONSchemaToSQL": "sql",
    "OAuthJWTAuthenticator": "jwt",
    "SQLConnector": "sql",
    "SQLSink": "sql",
    "SQLStream": "sql",
    "SQLTap": "sql",
    "SQLTarget": "sql",
    "SQLToJSONSchema": "sql",
}

#: Modules that came with some version of singer-sdk, to the requirement to add where it is not declared.
CAME_ALONG: Mapping[str, str] = {
    "cryptography": "cryptography>=42",
    "dateutil": "python-dateutil>=2.8",
    "faker": "faker>=30",
    "fs": "fs>=2.4",
    "fsspec": "fsspec>=2023.1",
    "importlib_metadata": "importlib-metadata>=6",
    "importlib_resources": "importlib-resources>=5",
    "inflection": "inflection>=0.5",
    "joblib": "joblib>=1.3",
    "jsonpath_ng": "jsonpath-ng>=1.5",
    "jsonschema": "jsonschema>=4.16",
    "jwt": "pyjwt>=2.4",
    "memoization": "memoization>=0.3.2",
    "packaging": "packaging>=23.1",
    "pendulum": "pendulum>=2.1",
    "pyarrow": "pyarrow>=15",
    "pytz": "pytz>=2022.1",
    "referencing": "referencing>=0.30",
    "simpleeval": "simpleeval>=0.9.13",
    "simplejson": "simplejson>=3.17",
    "sqlalchemy": "sqlalchemy>=2.0",
    "typing_extensions": "typing-extensions>=4.5",
    "yaml": "PyYAML>=6",
}

#: The oldest versions that singerkit takes of libraries that connectors ask for too.
OLDEST: Mapping[str, tuple[int, ...]] = {
    "click": (8, 1),
    "msgspec": (0, 20),
    "pyarrow": (15,),
    "pytest": (8,),
    "python-dotenv": (1, 0),
    "requests": (2, 32),
    "sqlalchemy": (2, 0, 30),
    "urllib3": (2, 0),
}

#: What singerkit brings by itself, by the module that is imported.
BROUGHT = frozenset({"backoff", "click", "dotenv", "jsonpath", "msgspec", "requests", "rich", "urllib3"})
