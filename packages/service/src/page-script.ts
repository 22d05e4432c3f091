/**
 * The one script of the pages, which work without it. It shows the buttons that reveal a secret, brings the focus to the
 * list of what was refused, and keeps a form from being sent twice. Its words come with the markup.
 */
export const pageScript = `'use strict'
for (const button of document.querySelectorAll('button[data-reveals]')) {
  const input = document.getElementById(button.dataset.reveals)
  const show = (isShown) => {
    input.type = isShown ? 'text' : 'password'
    button.textContent = isShown ? button.dataset.hide : button.dataset.show
    button.setAttribute('aria-label', isShown ? button.dataset.hideLabel : button.dataset.showLabel)
  }
  button.hidden = false
  button.addEventListener('click', () => show(input.type === 'password'))
  // sent in the clear it would be offered by the browser's own history of inputs
  input.form.addEventListener('submit', () => show(false))
}
for (const form of document.querySelectorAll('form')) {
  const button = form.querySelector('button[data-sending]')
  const words = button.textContent
  let isSent = false
  form.addEventListener('submit', (event) => {
    if (isSent) return event.preventDefault()
    isSent = true
    button.textContent = button.dataset.sending
    button.setAttribute('aria-disabled', 'true')
  })
  // back from the next page, by the browser's own memory of this one
  window.addEventListener('pageshow', () => {
    isSent = false
    button.textContent = words
    button.removeAttribute('aria-disabled')
  })
}
document.querySelector('[data-focus]')?.focus()
`
