"""Objects as programs use them: create, list in pages, watch, patch, scale, evict, delete."""

from kubernetes import client, config, dynamic, watch
from kubernetes.client.rest import ApiException

config.load_kube_config()
core, apps, version = client.CoreV1Api(), client.AppsV1Api(), client.VersionApi()
print("version", version.get_code().git_version.split("+")[0])

core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name="py")))
for number in range(5):
    core.create_namespaced_config_map("py", client.V1ConfigMap(
        metadata=client.V1ObjectMeta(name=f"map-{number}", labels={"odd": str(number % 2)}), data={"n": str(number)}))

page, names = core.list_namespaced_config_map("py", limit=2, label_selector="odd"), []
while True:
    names += [item.metadata.name for item in page.items]
    if not page.metadata._continue:
        break
    page = core.list_namespaced_config_map("py", limit=2, label_selector="odd", _continue=page.metadata._continue)
print("pages", *names)
print("odd", *[item.metadata.name for item in core.list_namespaced_config_map("py", label_selector="odd=1").items])

template = client.V1PodTemplateSpec(
    metadata=client.V1ObjectMeta(labels={"app": "web"}),
    spec=client.V1PodSpec(containers=[client.V1Container(name="hello", image="localhost/hello")]))
apps.create_namespaced_deployment("py", client.V1Deployment(
    metadata=client.V1ObjectMeta(name="web"),
    spec=client.V1DeploymentSpec(replicas=1, selector=client.V1LabelSelector(match_labels={"app": "web"}), template=template)))


def wait_ready(replicas):
    """Follows the deployment until so many of its pods are ready."""
    follow = watch.Watch()
    for event in follow.stream(apps.list_namespaced_deployment, "py", field_selector="metadata.name=web", timeout_seconds=60):
        status, spec = event["object"].status, event["object"].spec
        counts = [status.replicas, status.updated_replicas, status.ready_replicas, spec.replicas]
        if status.observed_generation == event["object"].metadata.generation and counts == [replicas] * 4:
            follow.stop()
            print("ready", replicas)


wait_ready(1)
apps.patch_namespaced_deployment_scale("web", "py", {"spec": {"replicas": 3}})
wait_ready(3)
apps.patch_namespaced_deployment("web", "py", {"spec": {"template": {"spec": {"containers": [
    {"name": "hello", "env": [{"name": "MOOD", "value": "sunny"}]}]}}}})
container = apps.read_namespaced_deployment("web", "py").spec.template.spec.containers[0]
wait_ready(3)
print("patched", container.image, container.env[0].name, container.env[0].value)

try:
    core.create_namespaced_config_map("py", client.V1ConfigMap(metadata=client.V1ObjectMeta(name="Not_A_Name")))
except ApiException as error:
    body = client.ApiClient().deserialize(type("Answer", (), {"data": error.body})(), "object")
    print(error.status, body["reason"], body["details"]["causes"][0]["field"])
try:
    core.read_namespaced_config_map("absent", "py")
except ApiException as error:
    print(error.status, error.reason)

everything = dynamic.DynamicClient(client.ApiClient())
maps = everything.resources.get(api_version="v1", kind="ConfigMap")
applied = everything.server_side_apply(
    maps, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "map-0"}, "data": {"n": "0", "more": "yes"}},
    name="map-0", namespace="py", field_manager="script", force_conflicts=True)
print("applied", applied.data.n, applied.data.more, *sorted(entry.manager for entry in applied.metadata.managedFields))

pods = core.list_namespaced_pod("py", label_selector="app=web").items
pod = next(pod for pod in pods if not pod.metadata.deletion_timestamp)
core.create_namespaced_pod_eviction(pod.metadata.name, "py", client.V1Eviction(
    metadata=client.V1ObjectMeta(name=pod.metadata.name)))
print("evicted")
core.delete_collection_namespaced_config_map("py", label_selector="odd=1")
print("left", *[item.metadata.name for item in core.list_namespaced_config_map("py", label_selector="odd").items])
revision = core.read_namespace("py").metadata.resource_version
core.delete_namespace("py")
for event in watch.Watch().stream(core.list_namespace, field_selector="metadata.name=py", resource_version=revision,
                                  timeout_seconds=60):
    if event["type"] == "DELETED":
        print("namespace deleted")
        break
