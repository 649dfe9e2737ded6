//! Address ranges and hardware addresses, read as Go's `net` package reads them.
//!
//! Rook and Multus are Go programs: what they accept is what counts, so the rules here are theirs, not those of a Rust
//! type. Nothing here resolves a name or asks the network.

use std::net::IpAddr;

use ipnet::IpNet;

/// Reads an address with a prefix length, as Go's `net.ParseCIDR` does: host bits may be set, the prefix is a plain
/// decimal number within the family's width.
#[must_use]
pub fn parse_cidr(text: &str) -> Option<IpNet> {
    let (address, prefix) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    if prefix.is_empty() || !prefix.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    IpNet::new(address, prefix.parse().ok()?).ok()
}

/// Whether Multus takes `text` as an element of `ips`: an address with a prefix length where there is a `/`, a plain
/// address otherwise (multus-cni `parsePodNetworkAnnotation`).
#[must_use]
pub fn is_address_request(text: &str) -> bool {
    if text.contains('/') { parse_cidr(text).is_some() } else { text.parse::<IpAddr>().is_ok() }
}

/// Whether Go's `net.ParseMAC` takes `text`: 6, 8 or 20 bytes as two hex digits each, joined by one and the same `:` or
/// `-`, or as groups of four hex digits joined by `.`.
#[must_use]
pub fn is_hardware_address(text: &str) -> bool {
    let separator = if text.contains(':') {
        ':'
    } else if text.contains('-') {
        '-'
    } else {
        '.'
    };
    let (digits, groups): (usize, &[usize]) = if separator == '.' { (4, &[3, 4, 10]) } else { (2, &[6, 8, 20]) };
    groups.contains(&text.split(separator).count())
        && text
            .split(separator)
            .all(|group| group.len() == digits && group.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_go_reads_them() {
        // Rook's TestAddressRangesSpec_Validate.
        for valid in [
            "123.123.123.123/24",
            "1.0.0.1/24",
            "2000::/64",
            "2000:2000:2000:2000:2000:2000:2000:2000/64",
            "2000::128.128.128.128/96",
        ] {
            assert!(parse_cidr(valid).is_some(), "{valid}");
        }
        for invalid in [
            "123.123.123/24",
            "123.123.123.123/33",
            "2000/64",
            "2000:/64",
            "2000::128.128.128.128/129",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.0/-1",
            "10.0.0.0",
            "1192.168.0.0/18",
        ] {
            assert!(parse_cidr(invalid).is_none(), "{invalid}");
        }
    }

    #[test]
    fn address_requests() {
        for valid in ["10.0.0.5", "10.0.0.5/24", "2001:db8::1", "2001:db8::1/64", "::ffff:10.0.0.5"] {
            assert!(is_address_request(valid), "{valid}");
        }
        for invalid in ["", " 10.0.0.5", "10.0.0.05", "fe80::1%eth0", "10.0.0.5/33", "net1"] {
            assert!(!is_address_request(invalid), "{invalid}");
        }
    }

    #[test]
    fn hardware_addresses() {
        for valid in
            ["02:00:00:00:00:01", "02-00-00-00-00-01", "0200.0000.0001", "02:00:00:00:00:01:02:03", "AA:bb:CC:dd:EE:ff"]
        {
            assert!(is_hardware_address(valid), "{valid}");
        }
        for invalid in ["", "2:0:0:0:0:1", "02:00:00:00:01", "02:00:00:00:00-01", "020000000001", "02:00:00:00:00:0g"] {
            assert!(!is_hardware_address(invalid), "{invalid}");
        }
    }
}
