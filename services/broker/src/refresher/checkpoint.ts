/**
 * The moments of a refresh at which a process may die (security.md, R2). The tests' own main wires something that kills
 * it there; main.ts wires nothing.
 */
export type CheckpointName = 'claimed' | 'marked' | 'sent' | 'answered' | 'storing' | 'stored'

export type Checkpoint = (name: CheckpointName, connectionId: string) => Promise<void> | void
