import pandas as pd
from sklearn import metrics
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

data = pd.read_csv("churn.csv")
data.dropna(inplace=True)
data["per_month"] = data["spent"] / data["months"]
y = data.pop("left")
X = data.drop("customer", axis=1)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.25, random_state=1, stratify=y)

scaler = StandardScaler()
X_train = scaler.fit_transform(X_train)
X_test = scaler.transform(X_test)

clf = LogisticRegression(C=0.5)
clf.fit(X_train, y_train)
proba = clf.predict_proba(X_test)[:, 1]
auc = metrics.roc_auc_score(y_test, proba)
print("AUC", auc)
print(metrics.classification_report(y_test, clf.predict(X_test)))
