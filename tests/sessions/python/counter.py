"""An operator: counts words of each Text in its status, and lets it go only after it has cleaned up."""

import threading

from kubernetes import client, config, watch

config.load_kube_config()
texts, definitions, core = client.CustomObjectsApi(), client.ApiextensionsV1Api(), client.CoreV1Api()
PLACE = {"group": "example.com", "version": "v1", "namespace": "default", "plural": "texts"}
FINALIZER = "example.com/counted"

definitions.create_custom_resource_definition({
    "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
    "metadata": {"name": "texts.example.com"},
    "spec": {
        "group": "example.com", "scope": "Namespaced",
        "names": {"plural": "texts", "singular": "text", "kind": "Text", "shortNames": ["tx"]},
        "versions": [{
            "name": "v1", "served": True, "storage": True, "subresources": {"status": {}},
            "additionalPrinterColumns": [{"name": "Words", "type": "integer", "jsonPath": ".status.words"}],
            "schema": {"openAPIV3Schema": {"type": "object", "required": ["spec"], "properties": {
                "spec": {
                    "type": "object", "required": ["text"],
                    "properties": {"text": {"type": "string", "minLength": 1},
                                   "language": {"type": "string", "default": "en", "enum": ["en", "de"]}},
                    "x-kubernetes-validations": [{
                        "rule": "self.language != 'de' || self.text.contains('ü')",
                        "message": "German has umlauts"}]},
                "status": {"type": "object", "properties": {"words": {"type": "integer"}}}}}}}]}})
for event in watch.Watch().stream(definitions.list_custom_resource_definition,
                                  field_selector="metadata.name=texts.example.com", timeout_seconds=60):
    conditions = event["object"].status.conditions or []
    if any(condition.type == "Established" and condition.status == "True" for condition in conditions):
        print("established")
        break


def operate():
    """Follows all texts for as long as the program runs."""
    for change in watch.Watch().stream(texts.list_namespaced_custom_object, **PLACE):
        text = change["object"]
        name, metadata = text["metadata"]["name"], text["metadata"]
        if change["type"] == "DELETED":
            continue
        if "deletionTimestamp" in metadata:
            texts.patch_namespaced_custom_object(**PLACE, name=name, body={"metadata": {"finalizers": None}})
        elif FINALIZER not in metadata.get("finalizers", []):
            texts.patch_namespaced_custom_object(**PLACE, name=name, body={"metadata": {"finalizers": [FINALIZER]}})
        else:
            words = {"status": {"words": len(text["spec"]["text"].split())}}
            texts.patch_namespaced_custom_object_status(**PLACE, name=name, body=words)


def create(name, **spec):
    return texts.create_namespaced_custom_object(**PLACE, body={
        "apiVersion": "example.com/v1", "kind": "Text", "metadata": {"name": name}, "spec": spec})


def wait(name, ready, **since):
    """Follows one text until it is as wanted."""
    for change in watch.Watch().stream(texts.list_namespaced_custom_object, **PLACE, **since,
                                       field_selector=f"metadata.name={name}", timeout_seconds=60):
        if ready(change["type"], change["object"]):
            return


threading.Thread(target=operate, daemon=True).start()
print("language", create("greeting", text="good day to you", unknown=1)["spec"])
wait("greeting", lambda kind, text: text.get("status", {}).get("words") == 4)
print("counted 4")
texts.patch_namespaced_custom_object(**PLACE, name="greeting", body={"spec": {"text": "hi"}})
wait("greeting", lambda kind, text: text.get("status", {}).get("words") == 1)
print("counted 1")
for wrong in [{"text": ""}, {"text": "guten Tag", "language": "de"}, {"text": "salut", "language": "fr"}, {}]:
    try:
        create("wrong", **wrong)
    except client.ApiException as error:
        message = client.ApiClient().deserialize(type("Answer", (), {"data": error.body})(), "object")["message"]
        print(error.status, message)
revision = texts.get_namespaced_custom_object(**PLACE, name="greeting")["metadata"]["resourceVersion"]
texts.delete_namespaced_custom_object(**PLACE, name="greeting")
wait("greeting", lambda kind, text: kind == "DELETED", resource_version=revision)
print("deleted")
