using System;
using System.Collections.Generic;
using System.Threading;
using System.Threading.Tasks;

namespace Unbroken
{
    // What can be awaited. All of it is settled by Pump; in Unity, what follows an await runs on the main thread again.
    public sealed partial class UnbrokenClient
    {
        private sealed class Sender
        {
            public byte[] Message;
            public TaskCompletionSource<bool> Done;
        }

        private sealed class Receiver
        {
            public readonly TaskCompletionSource<UnbrokenMessage> Done = new TaskCompletionSource<UnbrokenMessage>(Options);
            /// <summary>Disposed when it is served: a token that lives as long as the game would remember every receiver. Not under the gate, as that
            /// waits for a cancellation under way, and the cancellation for the gate.</summary>
            public CancellationTokenRegistration Cancellation;
        }

        private const TaskCreationOptions Options = TaskCreationOptions.RunContinuationsAsynchronously;

        /// <summary>Another one after each <see cref="Retry"/>.</summary>
        private volatile TaskCompletionSource<SessionEvent> established = new TaskCompletionSource<SessionEvent>(Options);
        private readonly TaskCompletionSource<SessionEvent> closed = new TaskCompletionSource<SessionEvent>(Options);
        // Both under the gate.
        private readonly Queue<Sender> senders = new Queue<Sender>();
        private readonly LinkedList<Receiver> receivers = new LinkedList<Receiver>();

        /// <summary>Until the session stands; the result has the server's welcome. Fails with an <see cref="UnbrokenException"/> when it was
        /// refused or given up; after a <see cref="Retry"/> ask again. Settled by <see cref="Pump"/>, as all that is awaited here.</summary>
        public Task<SessionEvent> EstablishedAsync()
        {
            return established.Task;
        }

        /// <summary>Until the session is over, for whatever reason; cancelled if the client is disposed before.</summary>
        public Task<SessionEvent> ClosedAsync()
        {
            return closed.Task;
        }

        /// <summary>Ends the session for good and waits until the server was told, or cannot be: 2 s at most. As <see cref="Disconnect"/> and
        /// <see cref="ClosedAsync"/>.</summary>
        public Task<SessionEvent> DisconnectAsync(uint code)
        {
            Disconnect(code);
            return closed.Task;
        }

        /// <summary>Sends when there is room: messages that wait go out in their order. Fails with an <see cref="UnbrokenException"/> if the
        /// message cannot be taken, or the session is over before there was room. It cannot be cancelled.</summary>
        public Task SendAsync(ReadOnlyMemory<byte> message)
        {
            lock (gate)
            {
                Status status = TrySend(message.Span);
                if (status == Status.Ok)
                {
                    return Task.CompletedTask;
                }
                if (status != Status.ErrWouldBlock)
                {
                    return Task.FromException(new UnbrokenException(status, "the message was not taken: " + status));
                }
                var sender = new Sender { Message = message.ToArray(), Done = new TaskCompletionSource<bool>(Options) };
                senders.Enqueue(sender);
                return sender.Done.Task;
            }
        }

        /// <summary>The next message; dispose it after use. Several callers are served in their order. Fails with an
        /// <see cref="UnbrokenException"/> when the session is over and read. If it is cancelled, no message was taken.</summary>
        public Task<UnbrokenMessage> ReceiveAsync(CancellationToken cancellation = default(CancellationToken))
        {
            if (cancellation.IsCancellationRequested)
            {
                return Task.FromCanceled<UnbrokenMessage>(cancellation);
            }
            lock (gate)
            {
                UnbrokenMessage message;
                if (receivers.Count == 0 && TryReceive(out message))
                {
                    return Task.FromResult(message);
                }
                if (closed.Task.IsCompleted || loop.Disposed)
                {
                    return Task.FromException<UnbrokenMessage>(Over());
                }
                var receiver = new Receiver();
                LinkedListNode<Receiver> place = receivers.AddLast(receiver);
                if (cancellation.CanBeCanceled)
                {
                    receiver.Cancellation = cancellation.Register(() => Cancel(place, cancellation));
                }
                return receiver.Done.Task;
            }
        }

        /// <summary>Under the gate, so that no message is taken for a receiver that is gone.</summary>
        private void Cancel(LinkedListNode<Receiver> place, CancellationToken by)
        {
            lock (gate)
            {
                if (place.List != null)
                {
                    receivers.Remove(place);
                }
                place.Value.Done.TrySetCanceled(by);
            }
        }

        /// <summary>Under the gate: what failed was the try before.</summary>
        private void WaitAnew()
        {
            if (established.Task.IsFaulted && !closed.Task.IsCompleted)
            {
                established = new TaskCompletionSource<SessionEvent>(Options);
            }
        }

        /// <summary>What an event means for those who wait.</summary>
        private void Settle(ref SessionEvent happened)
        {
            switch (happened.Kind)
            {
                case EventKind.Established:
                    lock (gate)
                    {
                        // A retry that came before the failure was told found nothing to wait for anew.
                        WaitAnew();
                        established.TrySetResult(happened);
                    }
                    break;
                case EventKind.HandoverFailed:
                    established.TrySetException(new UnbrokenException(Status.ErrClosed, "could not connect: " + happened.Failure));
                    break;
                case EventKind.Writable:
                    ServeSenders();
                    break;
                case EventKind.Closed:
                    established.TrySetException(new UnbrokenException(
                        Status.ErrClosed, "the session ended before it stood: " + happened.Reason + ", code " + happened.Code));
                    closed.TrySetResult(happened);
                    CancelAll();
                    break;
            }
            // A failed wait that nobody looks at is no news: the event says it all.
            GC.KeepAlive(established.Task.Exception);
        }

        private void ServeSenders()
        {
            lock (gate)
            {
                while (senders.Count > 0 && !loop.Disposed)
                {
                    Status status = session.TrySend(senders.Peek().Message);
                    if (status == Status.ErrWouldBlock)
                    {
                        break;
                    }
                    Sender sender = senders.Dequeue();
                    if (status == Status.Ok)
                    {
                        sender.Done.TrySetResult(true);
                    }
                    else
                    {
                        sender.Done.TrySetException(new UnbrokenException(status, "the message was not taken: " + status));
                    }
                }
                loop.Changed();
            }
        }

        /// <summary>Gives messages to those who wait for one.</summary>
        private void ServeReceivers()
        {
            Receiver served;
            while (ServeReceiver(out served))
            {
                served.Cancellation.Dispose();
            }
        }

        private bool ServeReceiver(out Receiver served)
        {
            lock (gate)
            {
                UnbrokenMessage message;
                served = receivers.Count > 0 ? receivers.First.Value : null;
                if (served == null || !TryReceive(out message))
                {
                    return false;
                }
                receivers.RemoveFirst();
                served.Done.TrySetResult(message);
                return true;
            }
        }

        private void CancelAll()
        {
            var left = new List<Receiver>();
            lock (gate)
            {
                while (senders.Count > 0)
                {
                    senders.Dequeue().Done.TrySetException(Over());
                }
                left.AddRange(receivers);
                receivers.Clear();
                foreach (Receiver receiver in left)
                {
                    receiver.Done.TrySetException(Over());
                }
                established.TrySetException(Over());
                closed.TrySetCanceled();
                GC.KeepAlive(established.Task.Exception);
            }
            foreach (Receiver receiver in left)
            {
                receiver.Cancellation.Dispose();
            }
        }

        private static UnbrokenException Over()
        {
            return new UnbrokenException(Status.ErrClosed, "the session is over");
        }
    }
}
