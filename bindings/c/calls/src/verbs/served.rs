//! Functions of one session of an endpoint. An id of `None` is a null pointer.

use super::ends::REFUSED;
use super::*;

/// The id of a session, 16 bytes.
pub type Id = Option<[u8; 16]>;

const HELD: &[unbroken_status] = &[UNBROKEN_ERR_UNKNOWN_SESSION];
const HELD_MAYBE: &[unbroken_status] = &[UNBROKEN_ERR_UNKNOWN_SESSION, UNBROKEN_EMPTY];

macro_rules! told {
    ($($name:ident($($arg:ident: $type:ty),*) = $ffi:ident $documented:expr;)*) => {
        impl Calls { $(
            pub fn $name(&mut self, of: Handle, id: Id $(, $arg: $type)*) -> Status {
                let id = Input::array(id);
                let verb = Verb(stringify!($ffi), Kind::Endpoint, $documented);
                // SAFETY: the id is readable for 16 bytes, or null.
                self.give(verb, of, &[&id], |of| unsafe { $ffi(named(of), id.pointer() $(, $arg)*) })
            }
        )* }
    };
}

told! {
    served_answer_resume(accept: i32, code: u32) = unbroken_endpoint_session_answer_resume HELD_MAYBE;
    served_close(code: u32) = unbroken_endpoint_session_close HELD;
    served_kick(code: u32) = unbroken_endpoint_session_kick HELD;
    endpoint_kick(code: u32) = unbroken_endpoint_kick &[UNBROKEN_EMPTY];
    served_swap_out() = unbroken_endpoint_session_swap_out HELD;
    served_commit() = unbroken_endpoint_session_commit HELD;
}

macro_rules! asked {
    ($($name:ident = $ffi:ident;)*) => {
        impl Calls { $(
            pub fn $name(&mut self, of: Handle, id: Id) -> Answer<i32> {
                let id = Input::array(id);
                let verb = Verb(stringify!($ffi), Kind::Endpoint, HELD);
                // SAFETY: the id is readable for 16 bytes or null, the place writable or null.
                self.ask(verb, of, Some(&id), |of, out| unsafe { $ffi(named(of), id.pointer(), out) })
            }
        )* }
    };
}

asked! {
    served_state = unbroken_endpoint_session_state;
    served_has_room = unbroken_endpoint_session_has_room;
    served_is_leaving = unbroken_endpoint_session_is_leaving;
}

impl Calls {
    pub fn served_send(&mut self, of: Handle, id: Id, data: Data<'_>, ask: bool) -> Answer<u64> {
        let (id, data, mut number) = (Input::array(id), Input::new(data), Output::of::<u64>(!ask));
        let verb = Verb("unbroken_endpoint_session_send", Kind::Endpoint, REFUSED);
        // SAFETY: the inputs are readable as said, the place writable or null.
        let call = |of| unsafe {
            unbroken_endpoint_session_send(named(of), id.pointer(), data.pointer(), data.len, number.pointer())
        };
        let status = self.give(verb, of, &[&id, &data], call);
        number.judge(verb.0, status, false);
        (status, (status == 0 && ask).then(|| number.value()))
    }

    pub fn served_send_unreliable(&mut self, of: Handle, id: Id, data: Data<'_>) -> Status {
        let (id, data) = (Input::array(id), Input::new(data));
        let verb = Verb("unbroken_endpoint_session_send_unreliable", Kind::Endpoint, REFUSED);
        // SAFETY: the inputs are readable as said.
        let call = |of| unsafe {
            unbroken_endpoint_session_send_unreliable(named(of), id.pointer(), data.pointer(), data.len)
        };
        self.give(verb, of, &[&id, &data], call)
    }

    pub fn served_recv(&mut self, of: Handle, id: Id, ask: bool) -> Answer<Message> {
        let id = Input::array(id);
        let verb = Verb("unbroken_endpoint_session_recv", Kind::Endpoint, HELD_MAYBE);
        // SAFETY: the id is readable for 16 bytes or null, the places writable or null.
        self.borrow(verb, of, Some(&id), ask, |of, data, len, number| unsafe {
            unbroken_endpoint_session_recv(named(of), id.pointer(), data, len, number)
        })
    }

    pub fn served_recv_mail(&mut self, of: Handle, id: Id) -> Answer<Message> {
        let id = Input::array(id);
        let verb = Verb("unbroken_endpoint_session_recv_mail", Kind::Endpoint, HELD_MAYBE);
        // SAFETY: as above.
        self.borrow(verb, of, Some(&id), false, |of, data, len, _| unsafe {
            unbroken_endpoint_session_recv_mail(named(of), id.pointer(), data, len)
        })
    }

    /// With the application's state, or by the function that has none.
    pub fn served_authorise(
        &mut self,
        of: Handle,
        id: Id,
        accept: i32,
        code: u32,
        message: Data<'_>,
        app: Option<Data<'_>>,
    ) -> Status {
        let (id, message) = (Input::array(id), Input::new(message));
        let long = (message.len > 1024).then_some(UNBROKEN_ERR_LENGTH as Status);
        let app = app.map(Input::new);
        let flaws = [id.flaw(), message.flaw(), long, app.as_ref().and_then(Input::flaw)];
        let name = "unbroken_endpoint_session_authorise";
        let duty = Duty {
            name,
            kind: Kind::Endpoint,
            flaws: &flaws,
            documented: HELD_MAYBE,
        };
        // SAFETY: the inputs are readable as said.
        let call = |of| unsafe {
            let (id, of) = (id.pointer(), named(of));
            match &app {
                None => unbroken_endpoint_session_authorise(of, id, accept, code, message.pointer(), message.len),
                Some(app) => unbroken_endpoint_session_authorise_with(
                    of,
                    id,
                    accept,
                    code,
                    message.pointer(),
                    message.len,
                    app.pointer(),
                    app.len,
                ),
            }
        };
        self.call(&duty, of, call)
    }

    pub fn served_bind_user(&mut self, of: Handle, id: Id, user: Data<'_>) -> Status {
        let (id, user) = (Input::array(id), Input::new(user));
        let long = (user.len > 1024).then_some(UNBROKEN_ERR_LENGTH as Status);
        let flaws = [id.flaw(), user.flaw(), long];
        let name = "unbroken_endpoint_session_bind_user";
        let documented = &[UNBROKEN_ERR_UNKNOWN_SESSION, UNBROKEN_ERR_NO_STORE];
        let duty = Duty {
            name,
            kind: Kind::Endpoint,
            flaws: &flaws,
            documented,
        };
        // SAFETY: the inputs are readable as said.
        let call =
            |of| unsafe { unbroken_endpoint_session_bind_user(named(of), id.pointer(), user.pointer(), user.len) };
        self.call(&duty, of, call)
    }

    pub fn served_stats(&mut self, of: Handle, id: Id, space: Space) -> (Status, Vec<u8>) {
        let id = Input::array(id);
        let verb = Verb("unbroken_endpoint_session_stats", Kind::Endpoint, HELD);
        // SAFETY: the id is readable for 16 bytes or null, the place writable as said, or null.
        let call = |of, out: *mut u8, size| unsafe {
            unbroken_endpoint_session_stats(named(of), id.pointer(), out.cast(), size)
        };
        self.count(verb, of, space, size_of::<unbroken_stats>(), Some(&id), call)
    }

    /// The application's state that a snapshot asked for; `None` if it has none.
    pub fn endpoint_save(&mut self, of: Handle, id: Id, app: Option<Data<'_>>) -> Status {
        let (id, has) = (Input::array(id), app.is_some());
        let app = Input::new(app.unwrap_or(Data::Null(0)));
        let verb = Verb(
            "unbroken_endpoint_save",
            Kind::Endpoint,
            &[UNBROKEN_EMPTY, UNBROKEN_ERR_SNAPSHOT],
        );
        // SAFETY: the inputs are readable as said.
        let call = |of| unsafe { unbroken_endpoint_save(named(of), id.pointer(), has.into(), app.pointer(), app.len) };
        self.give(verb, of, &[&id, &app], call)
    }
}
