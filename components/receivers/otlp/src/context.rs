//! The context of a batch, from what the server knows of its request.

use std::time::SystemTime;

use net::server::RequestInfo;
use pdata::Context;

/// The context of a request that arrived just now over `transport`.
pub(crate) fn of_request(request: RequestInfo, transport: &'static str) -> Context {
    let RequestInfo { peer, metadata, auth, trace, deadline } = request;
    Context { peer, transport, metadata, auth, tenant: None, trace, arrival: SystemTime::now(), deadline }
}
