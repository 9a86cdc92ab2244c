"""Rents: a random forest on a few columns."""
import joblib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestRegressor
from sklearn.metrics import mean_squared_error, r2_score
from sklearn.model_selection import train_test_split

FEATURES = ["rooms", "area", "age"]

df = pd.read_csv("rent.csv")
print(df.head())
X = df[FEATURES]
y = df["rent"]

X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=42)

model = RandomForestRegressor(n_estimators=20, random_state=0)
model.fit(X_train, y_train)
pred = model.predict(X_test)

mse = mean_squared_error(y_test, pred)
print(f"MSE {mse:.2f}, RMSE {np.sqrt(mse):.2f}, R2 {r2_score(y_test, pred):.2f}")
plt.scatter(y_test, pred)
plt.show()
joblib.dump(model, "rent.joblib")
