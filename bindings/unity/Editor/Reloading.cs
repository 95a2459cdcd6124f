using UnityEditor;

namespace Unbroken.Editor
{
    /// <summary>Before the editor unloads the scripts, the threads that run them must end: otherwise they are aborted in the middle of a call.</summary>
    [InitializeOnLoad]
    internal static class Reloading
    {
        static Reloading()
        {
            AssemblyReloadEvents.beforeAssemblyReload += LiveObjects.DisposeAll;
            EditorApplication.playModeStateChanged += change =>
            {
                if (change == PlayModeStateChange.EnteredEditMode)
                {
                    LiveObjects.DisposeAll();
                }
            };
        }
    }
}
