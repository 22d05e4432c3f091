/** The situations a person can end in on `/auth/*`, on either service. */
export type PageKind =
  | 'invalid-link'
  | 'expired-link'
  | 'wrong-browser'
  | 'already-completed'
  | 'not-allowed'
  | 'declined'
  | 'other-account'
  | 'provider-problem'
  | 'try-again-later'
  | 'completed'

export type PageText = {
  /** Of the browser's tab. */
  readonly title: string
  readonly heading: string
  /** What happened, in plain words. */
  readonly happened: string
  /** What the person can do now. */
  readonly next: string
}

export type PageTexts = {
  readonly lang: string
  readonly dir: 'ltr' | 'rtl'
  /** Stands before the request id that support asks for. */
  readonly reference: string
  readonly pages: Readonly<Record<PageKind, PageText>>
}

/** Every word people read on the shared pages: a translation is another object of this type. */
export const englishTexts: PageTexts = {
  lang: 'en',
  dir: 'ltr',
  reference: 'Reference',
  pages: {
    'invalid-link': {
      title: 'Link not valid',
      heading: 'This link does not work',
      happened: 'The link is incomplete or was changed on its way. Nothing was connected.',
      next: 'Open the original link again, or go back to the app you came from and start over.',
    },
    'expired-link': {
      title: 'Link expired',
      heading: 'This link has expired',
      happened: 'For your safety, connect links work only for a limited time. Nothing was connected.',
      next: 'Go back to the app you came from and ask for a new link.',
    },
    'wrong-browser': {
      title: 'Other browser',
      heading: 'Please finish in the browser you started in',
      happened:
        'The sign-in was started in another browser or window, or this browser blocks cookies. Nothing was connected.',
      next: 'Open your connect link again in this browser, with cookies allowed, and sign in once more.',
    },
    'already-completed': {
      title: 'Already completed',
      heading: 'This step is already done',
      happened: 'This link has already been used, and each one works once.',
      next: 'You can close this window. If your account is not connected, go back to the app and start over.',
    },
    'not-allowed': {
      title: 'Not allowed',
      heading: 'This is not allowed from here',
      happened: 'The request was refused. Nothing was connected.',
      next: 'Go back to the app you came from. If it happens again, ask the people who run it.',
    },
    declined: {
      title: 'Not connected',
      heading: 'You did not allow the connection',
      happened: 'The other service told us that access was declined. Nothing was connected.',
      next: 'You can close this window. If you change your mind, go back to the app and start over.',
    },
    'other-account': {
      title: 'Another account',
      heading: 'This is another account',
      happened: 'You signed in with another account than the one that was connected before. Nothing was changed.',
      next: 'Go back to the app and start over, and sign in with the account that was connected before.',
    },
    'provider-problem': {
      title: 'Sign-in problem',
      heading: 'The other service could not complete the sign-in',
      happened: 'The service you wanted to connect did not answer as expected. Nothing was connected.',
      next: 'Wait a moment and open your connect link again. If it keeps failing, tell the people who run the app.',
    },
    'try-again-later': {
      title: 'Try again later',
      heading: 'This did not work just now',
      happened:
        'We could not finish your request. This is a problem on our side, or there were too many tries at once.',
      next: 'Wait a minute and try again. If it keeps failing, tell the people who run the app.',
    },
    completed: {
      title: 'Connected',
      heading: 'All done',
      happened: 'Your account is connected.',
      next: 'You can close this window and go back to the app.',
    },
  },
}
