import argparse

import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import f1_score
from sklearn.model_selection import train_test_split

SEED = 11
COLUMNS = ["distance", "hour", "rush"]


def is_rush(hour):
    """Morning or evening."""
    return ((hour >= 7) & (hour <= 9)) | ((hour >= 16) & (hour <= 18))


def load(path):
    df = pd.read_csv(path)
    df["rush"] = is_rush(df["hour"]).astype(int)
    return df


def build_model(trees=10):
    return RandomForestClassifier(n_estimators=trees, random_state=SEED)


def train(X, y):
    model = build_model(trees=15)
    model.fit(X, y)
    return model


def evaluate(model, X, y):
    pred = model.predict(X)
    return f1_score(y, pred, average="macro")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("path")
    args = parser.parse_args()
    df = load(args.path)
    X, y = df[COLUMNS], df["delay"]
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=SEED)
    model = train(X_train, y_train)
    print("f1", evaluate(model, X_test, y_test))


if __name__ == "__main__":
    main()
