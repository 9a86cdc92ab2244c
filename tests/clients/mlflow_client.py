"""What MLflow's own client for its scoring protocol makes of a server, as JSON."""

import json
import sys

import pandas as pd
from mlflow.pyfunc.scoring_server.client import ScoringServerClient


def refused(client):
    try:
        client.invoke(pd.DataFrame({"featur": [9.0]}))
    except Exception as error:  # noqa: BLE001 - MLflow raises no other
        return str(error)
    return None


def main(url):
    host, port = url.removeprefix("http://").split(":")
    client = ScoringServerClient(host, port)
    client.ping()
    columns = {"feature": [9.0, 1.5], "note": ["x", None]}
    frame = pd.DataFrame(columns)
    told = {
        "version": client.get_version(),
        "frame": client.invoke(frame).get_predictions().to_numpy().tolist(),
        "matrix": client.invoke(frame.to_numpy()),
        "list": client.invoke(frame.to_dict(orient="records")),
        "text": client.invoke(json.dumps({"instances": columns})),
        "refused": refused(client),
    }
    json.dump(told, sys.stdout)


main(sys.argv[1])
