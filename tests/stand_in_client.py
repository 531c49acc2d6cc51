"""A bare client for the tests of the stand-in: what is sent and what came, nothing between."""

from typing import Any

import requests

from demo.stash import StandIn

TIMEOUT_S = 120


class Client:
    """Asks one stand-in."""

    def __init__(self, stash: StandIn, **headers: str) -> None:
        self.stash = stash
        self.headers = headers

    def post(self, query: str, variables: Any = None, **headers: str) -> requests.Response:
        """POST a question; the headers are only those given."""
        body = {"query": query, "variables": variables or {}}
        return requests.post(
            f"{self.stash.url}/graphql",
            json=body,
            headers={"Accept": "application/json", **self.headers, **headers},
            timeout=TIMEOUT_S,
        )

    def get(self, path: str, **headers: str) -> requests.Response:
        """GET a path, following nothing."""
        return requests.get(
            self.stash.url + path,
            headers={**self.headers, **headers},
            timeout=TIMEOUT_S,
            allow_redirects=False,
        )

    def body(self, query: str, **variables: Any) -> str:
        """The body of an answer with status 200."""
        answer = self.post(query, variables)
        assert answer.status_code == 200, answer.text
        return answer.text

    def data(self, query: str, **variables: Any) -> dict[str, Any]:
        """The data of an answer without errors."""
        answer = self.post(query, variables)
        assert "errors" not in answer.json(), answer.text
        data: dict[str, Any] = answer.json()["data"]
        return data

    def write(self, name: str, fields: str = "id", /, **values: Any) -> Any:
        """What a mutation gives back."""
        return self.data(mutation(name, fields), input=values)[name]

    def refusal(self, name: str, fields: str = "id", /, **values: Any) -> str:
        """The message with which a mutation is refused."""
        answer = self.post(mutation(name, fields), {"input": values}).json()
        return str(answer["errors"][0]["message"])


def mutation(name: str, fields: str) -> str:
    kind = name[0].upper() + name[1:] + "Input!"
    inside = "" if name.endswith("Destroy") else f"{{ {fields} }}"
    return f"mutation($input: {kind}) {{ {name}(input: $input) {inside} }}"
