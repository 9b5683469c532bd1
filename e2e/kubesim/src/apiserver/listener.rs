//! The socket: accepting connections, and doing without for a while.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::body::Body;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::control::Control;
use super::http;

/// Wait after a connection could not be accepted, most likely for lack of file descriptors.
const RECOVERY: Duration = Duration::from_millis(50);

/// How long a client may take to agree on TLS.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// What the socket is told to do.
#[derive(Debug)]
pub(super) enum Command {
    /// Closes the socket and all connections, and says when that is done.
    Close(oneshot::Sender<()>),
    /// Opens it again, on the same address.
    Open(oneshot::Sender<io::Result<()>>),
}

/// Accepts and serves until the server stops. Connections still open then get to answer what they are at.
pub(super) async fn run(
    listener: TcpListener,
    address: SocketAddr,
    acceptor: TlsAcceptor,
    control: Control,
    mut commands: mpsc::Receiver<Command>,
) {
    let mut stopping = control.shared.stopping.subscribe();
    let mut listener = Some(listener);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = accept(listener.as_ref()) => match accepted {
                Ok((stream, peer)) => drop(connections.spawn(serve(stream, peer.ip(), acceptor.clone(), control.clone()))),
                Err(error) => {
                    tracing::debug!(%error, "Accepting a connection failed");
                    tokio::time::sleep(RECOVERY).await;
                }
            },
            Some(_) = connections.join_next() => {}
            command = commands.recv() => match command {
                Some(Command::Close(done)) => {
                    listener = None;
                    connections.shutdown().await;
                    control.shared.cut_off();
                    tracing::info!(%address, "API server stopped listening");
                    let _ = done.send(());
                }
                Some(Command::Open(done)) => {
                    let opened = if listener.is_some() { Ok(()) } else {
                        TcpListener::bind(address).await.map(|again| listener = Some(again))
                    };
                    tracing::info!(%address, "API server listens again");
                    let _ = done.send(opened);
                }
                None => break,
            },
            () = stopped(&mut stopping) => break,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Ends when the server stops, or is gone.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<(TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

async fn serve(stream: TcpStream, peer: IpAddr, acceptor: TlsAcceptor, control: Control) {
    // Answers are written in one piece; waiting for more would only delay watch events.
    let _ = stream.set_nodelay(true);
    let mut stopping = control.shared.stopping.subscribe();
    let stream = match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(%error, "TLS handshake failed");
            return;
        }
        Err(_) => return,
    };
    let holder = control.shared.authority.holder(stream.get_ref().1.peer_certificates());
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        http::handle(control.clone(), holder.clone(), peer, request.map(Body::new))
    });
    let builder = Builder::new(TokioExecutor::new());
    let mut connection = std::pin::pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stopped(&mut stopping) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
