/** Where both services serve `pageStylesheet`; the pages link it, and `style-src 'self'` allows nothing else. */
export const pageStylesheetPath = '/auth/assets/page.css'

/**
 * The one stylesheet of the pages: light and dark, phone width first, logical properties so that right-to-left
 * languages need nothing of their own, system fonts because the policy lets nothing be fetched.
 */
export const pageStylesheet = `:root {
  color-scheme: light dark;
  --ground: #f4f5f7;
  --card: #ffffff;
  --ink: #1c2330;
  --soft: #566074;
  --line: #d5dae3;
  --accent: #1f5fd6;
  --accent-ink: #ffffff;
  --danger: #b3261e;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #12161d;
    --card: #1b212b;
    --ink: #e8ecf3;
    --soft: #a5b0c2;
    --line: #354052;
    --accent: #8fb6ff;
    --accent-ink: #0c1a33;
    --danger: #ff9d94;
  }
}
*,
*::before,
*::after {
  box-sizing: border-box;
}
body {
  margin: 0;
  min-block-size: 100vh;
  min-block-size: 100dvh;
  display: grid;
  place-items: center;
  padding: 1rem;
  background: var(--ground);
  color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
main {
  inline-size: 100%;
  max-inline-size: 30rem;
  padding: clamp(1.25rem, 5vw, 2.25rem);
  background: var(--card);
  border: 1px solid var(--line);
  border-radius: 0.75rem;
  overflow-wrap: anywhere;
}
h1 {
  margin-block: 0 0.75rem;
  font-size: 1.375rem;
  line-height: 1.25;
}
p {
  margin-block: 0 0.75rem;
}
a {
  color: var(--accent);
}
:focus-visible {
  outline: 3px solid var(--accent);
  outline-offset: 2px;
}
label {
  display: block;
  margin-block: 1rem 0.25rem;
  font-weight: 600;
}
input,
select,
textarea {
  inline-size: 100%;
  min-block-size: 2.75rem;
  padding: 0.5rem 0.75rem;
  font: inherit;
  color: inherit;
  background: transparent;
  border: 1px solid var(--soft);
  border-radius: 0.5rem;
}
button,
.button {
  display: inline-block;
  min-block-size: 2.75rem;
  margin-block-start: 1rem;
  padding: 0.5rem 1.25rem;
  font: inherit;
  font-weight: 600;
  text-decoration: none;
  color: var(--accent-ink);
  background: var(--accent);
  border: 1px solid transparent;
  border-radius: 0.5rem;
  cursor: pointer;
}
.button-quiet {
  color: var(--ink);
  background: transparent;
  border-color: var(--soft);
}
.hint,
.reference {
  color: var(--soft);
  font-size: 0.875rem;
}
.reference {
  margin-block: 1.5rem 0;
  padding-block-start: 0.75rem;
  border-block-start: 1px solid var(--line);
}
.problem {
  color: var(--danger);
  font-weight: 600;
}
`
