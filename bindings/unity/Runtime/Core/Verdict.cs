namespace Unbroken
{
    /// <summary>What a server says to a client that asks to be let in, or to resume.</summary>
    public struct Verdict
    {
        internal bool Answered;
        internal bool Accepted;
        internal uint Code;
        internal byte[] Message;
        internal byte[] State;

        /// <summary>Come in. The message, at most 1024 bytes, is told to the client; not on a resume. The state is what
        /// <see cref="UnbrokenServer.Restored"/> brings if this process dies before it asked <see cref="UnbrokenServer.SaveState"/>.</summary>
        public static Verdict Accept(byte[] message = null, byte[] state = null)
        {
            return new Verdict { Answered = true, Accepted = true, Message = message, State = state };
        }

        /// <summary>Stay out: the session ends at both ends with the code.</summary>
        public static Verdict Refuse(uint code, byte[] message = null)
        {
            return new Verdict { Answered = true, Code = code, Message = message };
        }

        /// <summary>Not now: <see cref="ServerPeer.Answer"/> follows. Until then the client's messages wait.</summary>
        public static Verdict Later { get { return default(Verdict); } }
    }
}
