//! Keys, certificates, tokens and kubeconfigs of a control plane, new for each.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use serde_json::json;

/// They cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A key or certificate.
    #[error("making the certificates of the control plane: {0}")]
    Certificate(#[from] rcgen::Error),
    /// A file.
    #[error("writing {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Where they lie.
#[derive(Clone, Debug)]
pub(super) struct Files {
    dir: PathBuf,
    /// Bearer token of a user of `system:masters`.
    pub(super) token: String,
    /// Who signed the API server's certificate, PEM.
    pub(super) ca: String,
}

impl Files {
    /// Makes all of them in `dir`, for an API server at `https://127.0.0.1:port`.
    pub(super) fn create(dir: &Path, port: u16) -> Result<Self, Error> {
        let mut ca_params = CertificateParams::new(Vec::new())?;
        ca_params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca_params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let ca_key = KeyPair::generate()?;
        let ca = ca_params.self_signed(&ca_key)?.pem();
        let issuer = Issuer::new(ca_params, ca_key);
        let names = ["localhost", "127.0.0.1", "kubernetes", "kubernetes.default.svc"].map(str::to_owned).to_vec();
        let mut server = CertificateParams::new(names)?;
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let server_key = KeyPair::generate()?;
        let certificate = server.signed_by(&server_key, &issuer)?.pem();
        // As hard to guess as a key, of which nothing else is kept.
        let token = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(KeyPair::generate()?.public_key_raw());

        let files = Self { dir: dir.to_owned(), token, ca };
        files.write("ca.crt", &files.ca)?;
        files.write("server.crt", &certificate)?;
        files.write("server.key", &server_key.serialize_pem())?;
        files.write("accounts.key", &KeyPair::generate()?.serialize_pem())?;
        files.write("tokens.csv", &format!("{},e2e,e2e,\"system:masters\"\n", files.token))?;
        files.write("audit-policy.yaml", crate::providers::kind::config::AUDIT_POLICY)?;
        files.write("kubeconfig", &files.kubeconfig(port))?;
        Ok(files)
    }

    /// The path of one of them.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn write(&self, name: &str, content: &str) -> Result<(), Error> {
        use std::os::unix::fs::OpenOptionsExt as _;
        let path = self.path(name);
        let failed = |source| Error::Write { path: path.clone(), source };
        std::fs::create_dir_all(&self.dir).map_err(failed)?;
        // Keys and tokens are nobody else's.
        let file = std::fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(&path);
        std::io::Write::write_all(&mut file.map_err(failed)?, content.as_bytes()).map_err(failed)
    }

    fn kubeconfig(&self, port: u16) -> String {
        format!(
            "{:#}\n",
            json!({
                "apiVersion": "v1", "kind": "Config", "current-context": "envtest",
                "clusters": [{ "name": "envtest", "cluster": {
                    "server": format!("https://127.0.0.1:{port}"), "certificate-authority": self.path("ca.crt"),
                } }],
                "users": [{ "name": "e2e", "user": { "token": self.token } }],
                "contexts": [{ "name": "envtest", "context": { "cluster": "envtest", "user": "e2e" } }],
            })
        )
    }
}
