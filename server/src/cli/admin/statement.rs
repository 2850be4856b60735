//! `medipeps-server admin statement`: a month of a tenant, for its invoice.

use std::collections::BTreeMap;

use clap::Args;
use medipeps_core::tenant::{Tenant, TenantDay};
use medipeps_core::wire::control::{ControlRequest, ControlResponse};
use serde::Serialize;

use super::date::Month;
use super::tenant::print_json;
use super::tenants::named;
use crate::cli::store::Orders;
use crate::cli::{ConfigArgument, Failure, print};

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// The tenant.
    #[arg(long, value_name = "NAME", default_value = medipeps_core::tenant::DEFAULT_TENANT_NAME)]
    tenant: String,
    /// The month, as 2026-10. Days begin and end by UTC.
    #[arg(long)]
    month: Month,
    /// Print JSON: {tenant, licence, month, days, days_counted, days_active, seats_end, seats_peak, storage_peak_bytes,
    /// services: [{name, days}]}.
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print CSV: a line of names and a line of values; of the services, each with its days.
    #[arg(long)]
    csv: bool,
}

/// What an invoice is made of.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Statement {
    tenant: String,
    licence: &'static str,
    month: String,
    /// Of the month.
    days: u32,
    /// On which the server counted.
    days_counted: usize,
    /// Of those, on which the tenant was active or in its grace.
    days_active: usize,
    /// At the last count of the month.
    seats_end: u64,
    seats_peak: u64,
    storage_peak_bytes: u64,
    services: Vec<ServiceDays>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct ServiceDays {
    name: String,
    /// Active days that ended with the service opted in.
    days: usize,
}

pub(super) async fn statement(arguments: &Arguments) -> Result<(), Failure> {
    let config = arguments.config.load()?;
    let mut orders = Orders::new(&config);
    let (tenant, _) = named(&mut orders, &arguments.tenant).await?;
    let (first_day, last_day) = arguments.month.days().ok_or_else(|| Failure::Usage("no such month".to_owned()))?;
    let request = ControlRequest::TenantDays { number: tenant.number, first_day, last_day };
    let ControlResponse::TenantDays(days) = orders.give(request).await? else {
        return Err(Failure::failed("the server answered something else"));
    };
    let statement = Statement::new(tenant, arguments.month, last_day - first_day + 1, &days);
    if arguments.json {
        print_json(&statement)
    } else if arguments.csv {
        print(&statement.csv().map_err(Failure::failed)?)
    } else {
        print(&statement.text())
    }
}

impl Statement {
    fn new(tenant: Tenant, month: Month, days: u32, counted: &[TenantDay]) -> Self {
        let mut services: BTreeMap<&str, usize> = BTreeMap::new();
        for name in counted.iter().filter(|day| day.active).flat_map(|day| &day.services) {
            *services.entry(name).or_default() += 1;
        }
        Self {
            licence: tenant.terms.licence.name(),
            tenant: tenant.terms.name,
            month: month.to_string(),
            days,
            days_counted: counted.len(),
            days_active: counted.iter().filter(|day| day.active).count(),
            seats_end: counted.last().map_or(0, |day| day.seats),
            seats_peak: counted.iter().map(|day| day.seats_peak).max().unwrap_or(0),
            storage_peak_bytes: counted.iter().map(|day| day.bytes_peak).max().unwrap_or(0),
            services: services.into_iter().map(|(name, days)| ServiceDays { name: name.to_owned(), days }).collect(),
        }
    }

    fn csv(&self) -> Result<String, csv::Error> {
        let services: Vec<_> = self.services.iter().map(|one| format!("{}={}", one.name, one.days)).collect();
        let fields = [
            ("tenant", self.tenant.clone()),
            ("licence", self.licence.to_owned()),
            ("month", self.month.clone()),
            ("days", self.days.to_string()),
            ("days_counted", self.days_counted.to_string()),
            ("days_active", self.days_active.to_string()),
            ("seats_end", self.seats_end.to_string()),
            ("seats_peak", self.seats_peak.to_string()),
            ("storage_peak_bytes", self.storage_peak_bytes.to_string()),
            ("services", services.join(" ")),
        ];
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(fields.iter().map(|(name, _)| name))?;
        writer.write_record(fields.iter().map(|(_, value)| value))?;
        let bytes = writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn text(&self) -> String {
        let Self { tenant, licence, month, days, days_counted, days_active, .. } = self;
        let mut text = format!("{tenant}, {month}: licence by {licence}\n");
        text.push_str(&format!("days: {days}, counted: {days_counted}, active: {days_active}\n"));
        text.push_str(&format!("seats: {} at the end, {} at most\n", self.seats_end, self.seats_peak));
        text.push_str(&format!("bytes in queues: {} at most\n", self.storage_peak_bytes));
        for ServiceDays { name, days } in &self.services {
            text.push_str(&format!("{name}: {days} days\n"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_added_up() {
        let day = |day, seats, seats_peak, bytes_peak, active, services: &[&str]| TenantDay {
            day,
            seats,
            seats_peak,
            bytes_peak,
            active,
            services: services.iter().map(|name| (*name).to_owned()).collect(),
        };
        let days = [
            day(1, 2, 3, 100, true, &["mail"]),
            day(2, 5, 9, 50, true, &["mail", "sms"]),
            day(4, 4, 5, 0, false, &["mail", "sms"]),
        ];
        let month: Month = "2026-10".parse().unwrap();
        let statement = Statement::new(Tenant::default_tenant(), month, 31, &days);
        assert_eq!((statement.days_counted, statement.days_active), (3, 2));
        assert_eq!((statement.seats_end, statement.seats_peak, statement.storage_peak_bytes), (4, 9, 100));
        let csv = statement.csv().unwrap();
        assert_eq!(csv.lines().nth(1), Some("default,structure,2026-10,31,3,2,4,9,100,mail=2 sms=1"));
        let empty = Statement::new(Tenant::default_tenant(), month, 31, &[]);
        assert_eq!((empty.days_counted, empty.seats_peak), (0, 0));
    }
}
