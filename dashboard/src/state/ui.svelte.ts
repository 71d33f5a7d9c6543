// What the reader chose, and the words and number formats that follow from it.

import { CATALOGUES, fill, type Key, type Language, LOCALES, type Parameters, preferredLanguage } from '../i18n/catalogue';
import { Format } from '../i18n/format';
import { type Choices, readChoices, writeChoices } from './url';

class Ui {
  choices: Choices = $state(readChoices(location.search));
  #systemDark = $state(false);

  readonly lang: Language = $derived(this.choices.lang ?? preferredLanguage(navigator.languages));
  readonly dark: boolean = $derived(
    this.choices.theme === 'auto' ? this.#systemDark : this.choices.theme === 'dark',
  );
  readonly format: Format = $derived(new Format(this.lang));

  constructor() {
    const query = matchMedia('(prefers-color-scheme: dark)');
    this.#systemDark = query.matches;
    query.addEventListener('change', (event) => (this.#systemDark = event.matches));
    addEventListener('popstate', () => (this.choices = readChoices(location.search)));
  }

  t = (key: Key, parameters?: Parameters): string => fill(CATALOGUES[this.lang][key], parameters);

  /** Writes choices to the address and to the root element. */
  apply(): void {
    const search = writeChoices(this.choices);
    if (search !== location.search) history.replaceState(null, '', search || location.pathname);
    const root = document.documentElement;
    root.lang = LOCALES[this.lang];
    if (this.choices.theme === 'auto') delete root.dataset.theme;
    else root.dataset.theme = this.choices.theme;
  }
}

export const ui = new Ui();
