//! Certificates of a cluster: one authority that lives as long as the cluster, and nowhere else.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// The group that Kubernetes lets do everything, whatever roles there are.
pub(super) const MASTERS: &str = "system:masters";

/// Who signs.
pub(super) struct Authority {
    certificate: String,
    der: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key, both PEM.
pub(super) struct Identity {
    pub(super) certificate: String,
    pub(super) key: String,
}

impl Authority {
    pub(super) fn new() -> Result<Authority, rcgen::Error> {
        let mut params = CertificateParams::default();
        params.distinguished_name = named("podferry", None);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        let (pem, der) = (certificate.pem(), certificate.der().to_vec());
        Ok(Authority { certificate: pem, der, issuer: Issuer::new(params, key) })
    }

    /// Its certificate, PEM.
    pub(super) fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Its certificate, DER.
    pub(super) fn der(&self) -> Vec<u8> {
        self.der.clone()
    }

    /// A certificate for a user of this name and group, or for a server at these addresses and names; for either use.
    pub(super) fn issue(&self, user: &str, group: Option<&str>, at: &[String]) -> Result<Identity, rcgen::Error> {
        let mut params = CertificateParams::new(at)?;
        params.distinguished_name = named(user, group);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Identity { certificate: certificate.pem(), key: key.serialize_pem() })
    }
}

/// A key pair that tokens of service accounts are signed by: private and public, PEM.
pub(super) fn signing_key() -> Result<(String, String), rcgen::Error> {
    let key = KeyPair::generate()?;
    Ok((key.serialize_pem(), key.public_key_pem()))
}

/// Kubernetes takes the common name for the user and the organisation for the group.
fn named(user: &str, group: Option<&str>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    if let Some(group) = group {
        name.push(DnType::OrganizationName, group);
    }
    name.push(DnType::CommonName, user);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_certificate_has_a_key_of_its_own() {
        let authority = Authority::new().unwrap();
        let one = authority.issue("system:node:a", Some("system:nodes"), &["10.99.0.2".to_owned()]).unwrap();
        let other = authority.issue("system:node:b", Some("system:nodes"), &[]).unwrap();
        for identity in [&one, &other] {
            assert!(identity.certificate.starts_with("-----BEGIN CERTIFICATE-----"), "{}", identity.certificate);
            assert!(identity.key.starts_with("-----BEGIN PRIVATE KEY-----"), "no PKCS 8");
        }
        assert_ne!(one.key, other.key);
        assert_ne!(one.certificate, authority.certificate());
        let (private, public) = signing_key().unwrap();
        assert!(private.contains("PRIVATE KEY") && public.starts_with("-----BEGIN PUBLIC KEY-----"));
    }
}
