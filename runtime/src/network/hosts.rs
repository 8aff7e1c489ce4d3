//! The names a pod knows by itself: its own, and those its specification adds. What its hosts file says.

use std::fmt::{self, Display, Formatter};
use std::net::IpAddr;

/// The names a pod knows by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostNames {
    /// Its own names, the longest first.
    pub own: Vec<String>,
    /// Addresses with their names, in the order in which they are asked.
    pub aliases: Vec<(IpAddr, Vec<String>)>,
}

impl HostNames {
    /// The addresses of an added name.
    pub(super) fn aliases_of(&self, name: &str) -> Vec<IpAddr> {
        let has = |names: &[String]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
        self.aliases.iter().filter(|(_, names)| has(names)).map(|(address, _)| *address).collect()
    }

    /// The hosts file of a pod with this address.
    pub fn file(&self, address: IpAddr) -> impl Display {
        fmt::from_fn(move |formatter| self.write(address, formatter))
    }

    fn write(&self, address: IpAddr, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str(HEAD)?;
        writeln!(formatter, "{address}\t{}", self.own.join("\t"))?;
        if !self.aliases.is_empty() {
            writeln!(formatter, "\n# Entries added by HostAliases.")?;
        }
        for (address, names) in &self.aliases {
            writeln!(formatter, "{address}\t{}", names.join("\t"))?;
        }
        Ok(())
    }
}

/// What every pod's file begins with, as in Kubernetes.
const HEAD: &str = "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n\
    ::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\n\
    fe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_names_the_pod_and_what_was_added() {
        let address: IpAddr = [10, 128, 0, 5].into();
        let mut names =
            HostNames { own: vec!["a.b.svc.cluster.local".into(), "a".into()], ..HostNames::default() };
        assert!(
            names
                .file(address)
                .to_string()
                .ends_with("ip6-allrouters\n10.128.0.5\ta.b.svc.cluster.local\ta\n")
        );
        names.aliases.push(([192, 0, 2, 1].into(), vec!["db".into(), "Db.example".into()]));
        let end = "\ta\n\n# Entries added by HostAliases.\n192.0.2.1\tdb\tDb.example\n";
        assert!(names.file(address).to_string().ends_with(end));
        assert_eq!(names.aliases_of("db.EXAMPLE"), [IpAddr::from([192, 0, 2, 1])]);
        assert!(names.aliases_of("example").is_empty());
    }
}
