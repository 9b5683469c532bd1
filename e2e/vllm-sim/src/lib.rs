//! An emulated GPU vLLM server: queue, batching, KV cache, real metrics, live control.
