using System;
using System.Threading;
using Unbroken;
using Unbroken.Tests;

/// <summary>KeptEcho in a process of its own, to be killed. KeptServer PATH DURABILITY PORT; prints the port and serves, until its input ends: then it
/// leaves.</summary>
internal static class KeptServer
{
    private static int Main(string[] arguments)
    {
        var durability = (Durability)Enum.Parse(typeof(Durability), arguments[1]);
        using (var echo = new KeptEcho(arguments[0], durability, int.Parse(arguments[2])))
        using (var stop = new CancellationTokenSource())
        {
            new Thread(() =>
            {
                Console.In.ReadToEnd();
                stop.Cancel();
            }) { IsBackground = true }.Start();
            Console.WriteLine(echo.Server.Address.Port);
            echo.Server.Run(stop.Token);
            return echo.Server.Leave(TimeSpan.FromSeconds(20)) ? 0 : 1;
        }
    }
}
