//! What `kubectl rollout` asks of a Deployment: pausing, resuming, going back, and starting again.

use super::*;

impl Cluster {
    /// Changes the Deployment as its user would.
    fn edit(&self, more: Value) {
        let old = self.one(&DEPLOYMENTS);
        let generation = old.metadata().generation.unwrap_or(0) + 1;
        let mut more = more;
        more["metadata"]["generation"] = generation.into();
        self.server.change(&DEPLOYMENTS, &old, more);
    }

    fn set_image(&self, image: &str) {
        self.edit(json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": image}]}}}}));
    }

    fn progress(&self) -> (Value, Value) {
        let status = self.one(&DEPLOYMENTS).value()["status"].clone();
        let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
        let progressing = conditions.into_iter().find(|condition| condition["type"] == "Progressing");
        let progressing = progressing.unwrap_or_default();
        (progressing["status"].clone(), progressing["reason"].clone())
    }

    /// Goes by what `kubectl rollout status` goes by.
    fn is_rolled_out(&self) -> bool {
        let deployment = self.one(&DEPLOYMENTS);
        let value = deployment.value();
        let number = |name: &str| value["status"][name].as_i64().unwrap_or(0);
        let wanted = value["spec"]["replicas"].as_i64().unwrap_or(1);
        number("observedGeneration") >= deployment.metadata().generation.unwrap_or(0)
            && number("updatedReplicas") >= wanted
            && number("replicas") <= number("updatedReplicas")
            && number("availableReplicas") >= number("updatedReplicas")
    }

    fn revisions(&self) -> Vec<(String, String)> {
        let sets = self.server.all(&REPLICA_SETS).into_iter().map(|set| {
            let revision = set.annotation("deployment.kubernetes.io/revision").unwrap_or_default();
            let image = &set.value()["spec"]["template"]["spec"]["containers"][0]["image"];
            (revision.to_owned(), image.as_str().unwrap_or_default().to_owned())
        });
        let mut revisions: Vec<(String, String)> = sets.collect();
        revisions.sort();
        revisions
    }
}

fn known(revisions: &[(&str, &str)]) -> Vec<(String, String)> {
    revisions.iter().map(|(revision, image)| ((*revision).to_owned(), (*image).to_owned())).collect()
}

#[tokio::test(start_paused = true)]
async fn a_rollout_is_paused_resumed_undone_and_restarted() {
    let cluster = Cluster::start();
    cluster.deploy(2, "v1");
    cluster.live(2).await;
    assert!(cluster.is_rolled_out());
    assert_eq!(cluster.progress(), ("True".into(), "NewReplicaSetAvailable".into()));

    cluster.edit(json!({"spec": {"paused": true}}));
    cluster.set_image("v2");
    cluster.live(3).await;
    assert_eq!(cluster.revisions(), known(&[("1", "v1")]), "a paused one waits");
    assert_eq!(cluster.progress(), ("Unknown".into(), "DeploymentPaused".into()));
    assert!(!cluster.is_rolled_out());

    cluster.edit(json!({"spec": {"paused": null}}));
    cluster.live(6).await;
    assert_eq!(cluster.revisions(), known(&[("1", "v1"), ("2", "v2")]));
    assert_eq!(cluster.progress(), ("True".into(), "NewReplicaSetAvailable".into()));
    assert!(cluster.is_rolled_out());

    // Going back lays the old template over the new, with the reason it had.
    cluster.edit(json!({"metadata": {"annotations": {"kubernetes.io/change-cause": "back"}}}));
    cluster.set_image("v1");
    cluster.live(6).await;
    assert_eq!(cluster.revisions(), known(&[("2", "v2"), ("3", "v1")]));
    assert_eq!(cluster.one(&DEPLOYMENTS).annotation("deployment.kubernetes.io/revision"), Some("3"));
    assert!(cluster.is_rolled_out());
    let back = cluster.server.all(&REPLICA_SETS).into_iter().find(|set| set.value()["spec"]["replicas"] == 2);
    let back = back.expect("the ReplicaSet of the first image");
    assert_eq!(back.annotation("deployment.kubernetes.io/revision-history"), Some("1"));
    assert_eq!(back.annotation("kubernetes.io/change-cause"), Some("back"));

    let before: Vec<String> = cluster.server.all(&PODS).iter().map(|pod| pod.uid().to_owned()).collect();
    let restarted = json!({"kubectl.kubernetes.io/restartedAt": NOW});
    cluster.edit(json!({"spec": {"template": {"metadata": {"annotations": restarted}}}}));
    cluster.live(6).await;
    assert!(cluster.is_rolled_out());
    assert_eq!(cluster.revisions(), known(&[("2", "v2"), ("3", "v1"), ("4", "v1")]));
    let pods = cluster.server.all(&PODS);
    assert!(pods.len() == 2 && pods.iter().all(|pod| !before.contains(&pod.uid().to_owned())));
}
