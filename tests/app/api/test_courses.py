"""Courses: facts, and inputs that reproduce what the courses publish."""

from __future__ import annotations

import numpy as np
from starlette.testclient import TestClient

from app.api import schemas


def test_every_course_is_listed_and_its_inputs_can_be_checked(client: TestClient) -> None:
    listed = client.get("/api/courses").json()
    assert len(listed) == 6
    for course in listed:
        schemas.Course.model_validate(course)
        for inputs in course["inputs"]:
            call = client.get(f"/api/courses/{course['name']}/{inputs}").json()
            schemas.CourseCall.model_validate(call)
            body = {key: value for key, value in call.items() if key != "op"}
            answer = client.post(f"/api/ops/{call['op']}/check", json=body)
            assert answer.status_code == 200 and answer.json()["agrees"], answer.text[:300]


def test_the_published_means_come_out(client: TestClient) -> None:
    """dA, dW and db of the course's own test, as its notebook prints them."""
    call = client.get("/api/courses/deeplearning-ai/convolution").json()
    body = {key: value for key, value in call.items() if key != "op"}
    tensors = client.post("/api/ops/conv2d/check", json=body).json()["tensors"]
    means = {name: float(np.mean(tensors[name]["analytic"])) for name in ("dx", "dw", "db")}
    np.testing.assert_allclose(
        [means["dx"], means["dw"], means["db"]], [1.45243777754, 1.72699145831, 7.83923256462], rtol=1e-10
    )


def test_inputs_that_are_not_there_are_a_404(client: TestClient) -> None:
    for path, words in (("none/convolution", "cs231n"), ("cs182/convolution", "there are: none")):
        answer = client.get(f"/api/courses/{path}")
        assert answer.status_code == 404 and words in answer.text
