"""A model for MLServer, and how to serve it in process on one port: `KIND FOLDER PORT`.

Asked with a tensor, which is its fastest form: the model gets a numpy array, not a data frame.
"""

import json
import sys
from pathlib import Path

import fitted
import joblib

kind, folder, port = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
table = fitted.rows()
model = fitted.fit(kind, table[fitted.NAMES].to_numpy(), table["target"].to_numpy())
joblib.dump(model, folder / "model.joblib")
settings = {
    "http_port": port,
    "grpc_port": port + 1,
    "metrics_port": port + 2,
    "host": "127.0.0.1",
    "parallel_workers": 0,
    "debug": False,
}
(folder / "settings.json").write_text(json.dumps(settings))
(folder / "model-settings.json").write_text(
    json.dumps(
        {
            "name": "model",
            "implementation": "mlserver_sklearn.SKLearnModel",
            "parameters": {"uri": "./model.joblib"},
        }
    )
)
values = list(fitted.example().values())
tensor = {"name": "x", "shape": [1, len(values)], "datatype": "FP64", "data": values}
told = {
    "command": ["-m", "mlserver.cli.main", "start", str(folder)],
    "path": "/v2/models/model/infer",
    "body": {"inputs": [tensor], "outputs": [{"name": fitted.METHOD[kind]}]},
}
print(json.dumps(told))
