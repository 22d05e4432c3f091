import { expect, test } from 'vitest'
import { findSelfSubmittingForm, parseForms } from './html-forms.ts'

const at = new URL('https://nexus.test/page?x=1')

test('reads fields, buttons and where the form goes', () => {
  const [form] = parseForms(
    `<form id=f method="post" action='/go?a=1&amp;b=2'>
       <input type="hidden" name="state" value="a&#60;b&quot;"><input name=empty><input type=submit name=no value=no>
       <input type=checkbox name=on checked><input type=checkbox name=off><input type=radio name=r value=2 checked>
       <textarea name=text>one &amp; two</textarea><select name=s><option value=1><option value=2 selected></select>
       <button name="answer" value="yes"><b>All</b>ow</button></form>`,
    at,
  )
  expect(form).toMatchObject({ id: 'f', method: 'POST', action: new URL('https://nexus.test/go?a=1&b=2') })
  expect(Object.fromEntries(form?.fields ?? [])).toEqual({
    state: 'a<b"',
    empty: '',
    on: 'on',
    r: '2',
    text: 'one & two',
    s: '2',
  })
  expect(form?.buttons).toEqual([{ name: 'answer', value: 'yes', text: 'Allow' }])
})

test('a form without an action goes to its own page, by GET', () => {
  expect(parseForms('<form></form>', at)).toMatchObject([{ method: 'GET', action: at, id: undefined }])
})

test('forms in comments and scripts are no forms', () => {
  expect(parseForms('<!-- <form></form> --><script>"<form></form>"</script>', at)).toEqual([])
})

test('only a page that submits itself is submitted', () => {
  const form = '<form method=post action=/x></form>'
  expect(findSelfSubmittingForm(form, at)).toBeUndefined()
  expect(findSelfSubmittingForm(`${form}<script>document.forms[0].submit()</script>`, at)?.action.pathname).toBe('/x')
})
