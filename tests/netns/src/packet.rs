//! A packet socket on one interface: whole Ethernet frames, in and out.
//!
//! The kernel leaves checksums open, and packets joined, on virtual links. With PACKET_VNET_HDR each frame carries a header of ten bytes that
//! says so; passing it on with the frame keeps the frame valid at the other end. The interfaces are set to one segment per
//! packet (`gso_max_segs 1`, by the script), so that one frame lost is one segment lost.

use std::io::{self, Read, Write};
use std::mem::size_of;

use socket2::{Domain, SockAddr, Socket, Type};

/// One interface.
pub struct Port(Socket);

impl Port {
    /// Opens an interface of this namespace. Needs CAP_NET_RAW there.
    pub fn open(interface: &str) -> io::Result<Port> {
        // /sys shows the interfaces of the namespace in which it was mounted; `ip netns exec` mounts it.
        let index = std::fs::read_to_string(format!("/sys/class/net/{interface}/ifindex"))?;
        let index: i32 = index.trim().parse().map_err(io::Error::other)?;
        // Without a protocol nothing is received before the socket is bound.
        let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
        with_headers(&socket)?;
        socket.bind(&address(index)?)?;
        Ok(Port(socket))
    }

    /// Waits for a frame. What this port wrote does not come back.
    pub fn read(&self, frame: &mut [u8]) -> io::Result<usize> {
        (&self.0).read(frame)
    }

    /// Sends a frame.
    pub fn write(&self, frame: &[u8]) -> io::Result<()> {
        (&self.0).write(frame).map(drop)
    }
}

fn address(index: i32) -> io::Result<SockAddr> {
    // SAFETY: the storage is zeroed, large enough and aligned for every kind of address; the length that is set is that of the
    // address written into it.
    let ((), address) = unsafe {
        SockAddr::try_init(|storage, len| {
            let link = storage.cast::<libc::sockaddr_ll>();
            (*link).sll_family = libc::AF_PACKET as u16;
            (*link).sll_protocol = (libc::ETH_P_ALL as u16).to_be();
            (*link).sll_ifindex = index;
            *len = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
            Ok(())
        })?
    };
    Ok(address)
}

fn with_headers(socket: &Socket) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let on: libc::c_int = 1;
    // SAFETY: the pointer is to an int that outlives the call, and the length is its size.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_VNET_HDR,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
