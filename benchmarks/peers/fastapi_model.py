"""What is written by hand: FastAPI, a typed body, a data frame, the model.

`KIND FOLDER PORT` fits the model and prints how to serve it; imported by uvicorn, it serves it.
"""

import json
import sys
from pathlib import Path

import fitted
import joblib
import pandas as pd
from fastapi import FastAPI
from pydantic import create_model

Body = create_model("Body", **dict.fromkeys(fitted.NAMES, (float, ...)))
app = FastAPI()


@app.on_event("startup")
def load() -> None:
    """The model, once."""
    app.state.kind, app.state.model = joblib.load("model.joblib")


@app.post("/predict")
async def predict(body: Body) -> dict:
    """Answer one row."""
    rows = pd.DataFrame([body.model_dump()])
    return {"prediction": fitted.answer(app.state.kind, app.state.model, rows).tolist()[0]}


def main(kind: str, folder: str, port: str) -> None:
    """Fit, and say how to serve."""
    table = fitted.rows()
    model = fitted.fit(kind, table[fitted.NAMES], table["target"])
    joblib.dump((kind, model), Path(folder) / "model.joblib")
    here = ["--app-dir", str(Path(__file__).parent), "--port", port, "--no-access-log"]
    told = {
        "command": ["-m", "uvicorn", "fastapi_model:app", *here],
        "path": "/predict",
        "body": fitted.example(),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
