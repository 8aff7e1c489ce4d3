//! Probes and lifecycle hooks.

use api::field::FieldError;
use k8s_openapi::api::core::v1::{Container, HTTPGetAction, LifecycleHandler, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{one_of, require};
use crate::names::{NOT_NEGATIVE, port_mistake, port_name_mistakes};
use crate::path::Path;

/// Checks all probes and hooks of a container at `path`.
pub fn check_all(container: &Container, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let probes = [
        ("livenessProbe", &container.liveness_probe, true),
        ("readinessProbe", &container.readiness_probe, false),
        ("startupProbe", &container.startup_probe, true),
    ];
    for (field, probe, one_success) in probes {
        let Some(probe) = probe else { continue };
        let path = path.child(field);
        check_probe(probe, &path, errors);
        if one_success && probe.success_threshold.is_some_and(|threshold| threshold != 1) {
            let threshold = probe.success_threshold;
            errors.push(FieldError::invalid(path.child("successThreshold"), threshold, "must be 1"));
        }
    }
    let Some(lifecycle) = &container.lifecycle else {
        return;
    };
    let path = path.child("lifecycle");
    for (field, hook) in [("postStart", &lifecycle.post_start), ("preStop", &lifecycle.pre_stop)] {
        if let Some(hook) = hook {
            check_hook(hook, &path.child(field), errors);
        }
    }
}

fn check_probe(probe: &Probe, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let handlers = [
        ("exec", probe.exec.is_some()),
        ("httpGet", probe.http_get.is_some()),
        ("tcpSocket", probe.tcp_socket.is_some()),
        ("grpc", probe.grpc.is_some()),
    ];
    check_one_handler(&handlers, path, errors);
    if let Some(exec) = &probe.exec
        && exec.command.as_ref().is_none_or(Vec::is_empty)
    {
        let path = path.child("exec");
        errors.push(FieldError::required(path.child("command"), ""));
    }
    if let Some(get) = &probe.http_get {
        check_http_get(get, &path.child("httpGet"), errors);
    }
    if let Some(socket) = &probe.tcp_socket {
        let path = path.child("tcpSocket");
        check_port(&socket.port, path.child("port"), errors);
    }
    if let Some(grpc) = &probe.grpc {
        let path = path.child("grpc");
        check_port(&IntOrString::Int(grpc.port), path.child("port"), errors);
    }
    let numbers = [
        ("initialDelaySeconds", probe.initial_delay_seconds),
        ("timeoutSeconds", probe.timeout_seconds),
        ("periodSeconds", probe.period_seconds),
        ("successThreshold", probe.success_threshold),
        ("failureThreshold", probe.failure_threshold),
    ];
    super::super::template::check_counts(path, &numbers, errors);
    if let Some(seconds) = probe.termination_grace_period_seconds.filter(|seconds| *seconds <= 0) {
        let path = path.child("terminationGracePeriodSeconds");
        errors.push(FieldError::invalid(path, seconds, "must be greater than 0"));
    }
}

fn check_hook(hook: &LifecycleHandler, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let handlers = [
        ("exec", hook.exec.is_some()),
        ("httpGet", hook.http_get.is_some()),
        ("tcpSocket", hook.tcp_socket.is_some()),
        ("sleep", hook.sleep.is_some()),
    ];
    check_one_handler(&handlers, path, errors);
    if let Some(get) = &hook.http_get {
        check_http_get(get, &path.child("httpGet"), errors);
    }
    if let Some(sleep) = hook.sleep.as_ref().filter(|sleep| sleep.seconds < 0) {
        let path = path.child("sleep");
        errors.push(FieldError::invalid(path, sleep.seconds, NOT_NEGATIVE));
    }
}

fn check_one_handler(handlers: &[(&str, bool)], path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let mut given = handlers.iter().filter(|(_, given)| *given);
    if given.next().is_none() {
        errors.push(FieldError::required(*path, "must specify a handler type"));
    }
    for (field, _) in given {
        let words = "may not specify more than 1 handler type";
        errors.push(FieldError::forbidden(path.child(field), words));
    }
}

fn check_http_get(get: &HTTPGetAction, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    require(get.path.as_deref().unwrap_or_default(), path.child("path"), errors);
    check_port(&get.port, path.child("port"), errors);
    one_of(get.scheme.as_deref(), &["HTTP", "HTTPS"], path.child("scheme"), errors);
}

/// A number, or the name of one of the container's ports.
fn check_port(port: &IntOrString, path: Path<'_>, errors: &mut Vec<FieldError>) {
    match port {
        IntOrString::Int(port) => {
            if let Some(words) = port_mistake(*port) {
                errors.push(FieldError::invalid(path, *port, words));
            }
        }
        IntOrString::String(name) => {
            let mistakes = port_name_mistakes(name).into_iter();
            errors.extend(mistakes.map(|words| FieldError::invalid(path, name.as_str(), words)));
        }
    }
}
