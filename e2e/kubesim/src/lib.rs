//! A Kubernetes control plane and node agent as local processes, for tests without containers.
